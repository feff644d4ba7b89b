//! `systole explain`: the page of an error code.
//!
//! Owns: finding it. Does not own: the words (`docs/errors/`).

use crate::context::Context;
use crate::failure::{Failure, Result, code};
use crate::page;
use serde_json::json;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  systole explain SYS-1101")]
pub(crate) struct Args {
    /// A code as errors show it.
    #[arg(value_name = "SYS-NNNN")]
    code: String,
}

pub(crate) fn run(args: &Args, cx: &Context) -> Result {
    let wanted = if args.code.starts_with(|it: char| it.is_ascii_digit()) {
        format!("SYS-{}", args.code)
    } else {
        args.code.clone()
    };
    let page = page::of(&wanted)
        .ok_or_else(|| Failure::new(code::UNKNOWN_CODE, format!("no page for {wanted}")))?;
    cx.out.either(&json!({"code": wanted.to_uppercase(), "markdown": page}), || page.to_owned())
}
