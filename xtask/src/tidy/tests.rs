//! Each rule catches its violation, and the workspace has none.

use super::*;
use expect_test::{Expect, expect};

/// Files that break nothing but what a test adds.
const HEADER: &str = "//! A module of the fixture; it owns nothing.\n";

fn check(files: &[(&str, &str)], expected: &Expect) {
    let mut findings = Findings::default();
    check_tree(&Tree::of(files), &mut findings);
    let found = findings.into_vec();
    expected.assert_eq(&found.iter().map(|it| format!("{it}\n")).collect::<String>());
}

/// One module with the header in front, so that the code begins on line 2.
fn check_module(code: &str, expected: &Expect) {
    check(&[("crates/core/log/src/segment.rs", &format!("{HEADER}{code}"))], expected);
}

#[test]
fn the_workspace_is_tidy() {
    let found = findings(&crate::root()).unwrap();
    let list: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "\n{}\n{} findings", list.join("\n"), list.len());
}

#[test]
fn a_long_function_is_found_and_empty_lines_and_comments_are_free() {
    let long = format!("fn long() {{\n{}}}\n", "    step();\n".repeat(71));
    let aired = format!("fn aired() {{\n{}}}\n", "    // why\n\n    step();\n".repeat(70));
    check_module(
        &(long + &aired),
        &expect![[r"
            crates/core/log/src/segment.rs:2: function size: `long` has 71 lines, at most 70; name its steps
        "]],
    );
}

#[test]
fn a_long_file_is_found_and_its_tests_move_out() {
    let code = "const A: u8 = 1;\n".repeat(800);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "const A: u8 = 1;\n".repeat(198));
    check_module(
        &(code + &tests),
        &expect![[r"
            crates/core/log/src/segment.rs:802: inline tests: 201 lines of tests, at most 200; move them to a sibling `tests.rs`
            crates/core/log/src/segment.rs:1: file size: 801 lines without tests, at most 800; split it by what its parts own
        "]],
    );
}

#[test]
fn a_long_line_is_found_unless_it_is_data() {
    let data = format!("const DATA: &str = \"\n{}\";\n", "x".repeat(200));
    let line = format!("const LINE: &str = \"{}\";\n", "x".repeat(79));
    check_module(
        &(data + &line),
        &expect![[r"
            crates/core/log/src/segment.rs:4: line length: 101 columns, at most 100; break it
        "]],
    );
}

#[test]
fn wide_things_are_found() {
    let imports: String = (0..26).map(|it| format!("use a::b{it};\n")).collect();
    let methods: String = (0..8).map(|it| format!("    fn m{it}(&self);\n")).collect();
    let code = format!(
        "{imports}trait Wide {{\n{methods}    fn sugar(&self) {{}}\n}}\n\
         fn many(a: u8, b: u8, c: u8, d: u8, e: u8) {{}}\n\
         struct S<A, B, C>(A, B, C);\n\
         impl S<u8, u8, u8> {{ fn four(&self, a: u8, b: u8, c: u8, d: u8) {{}} }}\n"
    );
    check_module(
        &code,
        &expect![[r"
            crates/core/log/src/segment.rs:2: import block: 26 lines, at most 25; import modules, or split the file
            crates/core/log/src/segment.rs:28: trait size: `Wide` asks for 8, at most 7; split it by who calls it
            crates/core/log/src/segment.rs:39: parameters: `many` takes 5, at most 4; give them a struct
            crates/core/log/src/segment.rs:40: type parameters: `S` has 3, at most 2; use a trait object or one trait
        "]],
    );
}

#[test]
fn the_seam_cannot_be_gone_round() {
    let code = format!(
        "{HEADER}#![allow(clippy::disallowed_methods)]\nuse std::{{fs, io}};\n\
         fn f() {{ tokio::time::sleep(D); }} // std::fs in a comment is harmless\n\
         #[cfg(test)]\nmod tests {{ use std::fs; }}\n"
    );
    check(
        &[("crates/core/log/src/a.rs", &code), ("crates/foundation/world/src/os.rs", &code)],
        &expect![[r"
            crates/core/log/src/a.rs:2: seam: `disallowed_methods` is switched off; take what you need from `world`
            crates/core/log/src/a.rs:4: seam: names `tokio::time`; take what you need from `world`
            crates/core/log/src/a.rs:3: seam: names `std::fs`; take what you need from `world`
        "]],
    );
}

#[test]
fn a_file_without_header_and_a_crate_without_readme_are_found() {
    check(
        &[
            ("crates/core/log/Cargo.toml", ""),
            ("crates/core/log/src/lib.rs", "//! Partition logs on disk, as files.\n"),
            ("crates/core/log/src/segment.rs", "//! short\n"),
        ],
        &expect![[r"
            crates/core/log/src/lib.rs:1: module header: does not say both `Owns` and `Does not own`; begin the file with `//!`: what it owns, what it does not
            crates/core/log/src/segment.rs:1: module header: is missing; begin the file with `//!`: what it owns, what it does not
            crates/core/log/Cargo.toml:1: crate README: is missing; write one: owns, does not own, reading order, how to add
        "]],
    );
}

#[test]
fn unfinished_work_and_stray_output_are_found() {
    check_module(
        "fn f() { todo!() }\n// TODO later\nfn g() { println!(\"x\"); }\n",
        &expect![[r"
            crates/core/log/src/segment.rs:2: unfinished: `todo!`; finish it, or leave it out and say so
            crates/core/log/src/segment.rs:3: unfinished: `TODO`; finish it, or leave it out and say so
            crates/core/log/src/segment.rs:4: print: `println!`; log it, or return it to the command line
        "]],
    );
}

#[test]
fn tests_neither_sleep_nor_hide() {
    let code = format!(
        "{HEADER}#[test]\n#[ignore]\nfn test_it() {{ std::thread::sleep(D); }}\n\
         fn eventually() {{ tokio::time::sleep(D); }}\n"
    );
    check(
        &[("crates/core/log/tests/it/main.rs", &code)],
        &expect![[r"
            crates/core/log/tests/it/main.rs:3: ignored test: `#[ignore]`; assert today's behaviour and say why it is so
            crates/core/log/tests/it/main.rs:4: sleep in a test: `thread::sleep` in `test_it`; turn `HandClock`, or wait in a function `eventually` for a condition with a deadline
            crates/core/log/tests/it/main.rs:4: test name: `test_it`; write a sentence of behaviour without the prefix
        "]],
    );
}

#[test]
fn names_under_which_anything_could_be_put_are_found() {
    check(
        &[
            ("crates/core/common/Cargo.toml", ""),
            ("crates/core/common/README.md", ""),
            ("crates/core/log/src/utils.rs", HEADER),
            ("crates/core/log/src/helpers/mod.rs", &format!("{HEADER}mod misc {{}}\n")),
        ],
        &expect![[r"
            crates/core/log/src/utils.rs:1: name: a module named `utils`; name what it owns
            crates/core/log/src/helpers/mod.rs:1: name: a module named `helpers`; name what it owns
            crates/core/log/src/helpers/mod.rs:2: name: a module named `misc`; name what it owns
            crates/core/common/Cargo.toml:1: name: a crate named `common`; name what it owns
        "]],
    );
}

#[test]
fn a_link_leads_to_a_file_and_a_heading() {
    let page = "# Top\n[a](b.md#a-part) [b](b.md#none) [c](../gone.md) [d](https://x.y/z) `[e](f)`\n\
                ```\n[g](h)\n```\n[i](#top) [j](..)\n";
    check(
        &[("docs/a.md", page), ("docs/b.md", "## A part\n")],
        &expect![[r"
            docs/a.md:2: link: `docs/b.md` has no heading `none`; correct it; links are relative to their file
            docs/a.md:2: link: `../gone.md` leads nowhere; correct it; links are relative to their file
        "]],
    );
}

#[test]
fn an_error_and_its_page_need_each_other() {
    let code = format!(
        "{HEADER}/// Shown as SYS-1009 in a comment.\nconst A: Code = Code::new(3001);\n\
         const B: &str = \"[SYS-3002] broken\";\nconst C: Code = Code::new(3003);\n\
         #[cfg(test)]\nmod tests {{ const D: Code = Code::new(3004); }}\n"
    );
    let page = "# SYS-3001: broken\n\n## What happened\nIt broke.\n\n## What to do\nMend it.\n";
    check(
        &[
            ("crates/core/log/src/a.rs", &code),
            ("docs/errors/SYS-3001.md", page),
            ("docs/errors/SYS-3002.md", "# broken\n"),
            ("docs/errors/SYS-3999.md", page),
        ],
        &expect![[r"
            docs/errors/SYS-3002.md:1: error page: another form; a title with the code, `What happened`, `What to do`, at most 15 lines
            crates/core/log/src/a.rs:5: error page: SYS-3003 has no page; write docs/errors/<code>.md
            docs/errors/SYS-3999.md:1: error page: SYS-3999 is nowhere in the code; delete it: no code gives this error
        "]],
    );
}

#[test]
fn a_crate_that_writes_log_lines_is_a_logger() {
    let manifest = |name| format!("name = \"{name}\"\n[dependencies]\ntracing.workspace = true\n");
    let levels = format!("{HEADER}const CRATES: [&str; 1] = [\n    \"systole_log\",\n];\n");
    check(
        &[
            ("crates/foundation/telemetry/src/levels.rs", &levels),
            ("crates/core/log/Cargo.toml", &manifest("systole-log")),
            ("crates/core/log/README.md", ""),
            ("crates/core/wire/Cargo.toml", &manifest("systole-wire")),
            ("crates/core/wire/README.md", ""),
        ],
        &expect![[r"
            crates/core/wire/Cargo.toml:1: logger: its log lines have no logger; add it to CRATES in levels.rs
        "]],
    );
}

#[test]
fn a_dependency_and_its_line_need_each_other() {
    let tree = Tree::of(&[("docs/dependencies.md", "| `bytes` | why |\n| `old` | why |\n")]);
    let edge = |to: &str| layers::Edge {
        from: "log".into(),
        manifest: "crates/core/log/Cargo.toml".into(),
        to: to.into(),
        is_ours: false,
        is_dev: false,
    };
    let mut findings = Findings::default();
    documents::dependencies(&tree, &[edge("bytes"), edge("new")], &mut findings);
    let found: String = findings.into_vec().iter().map(|it| format!("{it}\n")).collect();
    expect![[r"
        crates/core/log/Cargo.toml:1: dependency: `new` has no line; add its line (why, owner crate, exit) to docs/dependencies.md
        docs/dependencies.md:2: dependency: `old` is no dependency; delete the line: nobody uses it
    "]]
    .assert_eq(&found);
}
