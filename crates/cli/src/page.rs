//! The pages of `docs/errors/`, inside the binary.
//!
//! Owns: finding a page and its cure. Does not own: the words; they stand in the repository, one
//! file per code, and `cargo xtask tidy` holds that each code has one.

use systole_kit::Code;

const PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));
const CURE: &str = "## What to do";

/// The page of `code`, in Markdown.
pub(crate) fn of(code: &str) -> Option<&'static str> {
    PAGES.iter().find(|(it, _)| it.eq_ignore_ascii_case(code)).map(|(_, page)| *page)
}

/// What to do about `code`, as one line.
pub(crate) fn cure(code: Code) -> String {
    let page = of(&code.to_string()).unwrap_or_default();
    let lines = page.lines().skip_while(|it| !it.starts_with(CURE)).skip(1);
    let section = lines.skip_while(|it| it.is_empty()).take_while(|it| !it.starts_with("## "));
    section.map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_says_what_to_do_in_one_line() {
        for (code, _) in PAGES {
            let number = code.trim_start_matches("SYS-").parse().unwrap();
            let cure = cure(Code::new(number));
            assert!(cure.len() > 10 && !cure.contains('\n'), "{code}: {cure:?}");
        }
    }
}
