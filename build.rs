//! What the linker is told of the program.

use std::env::var;
use std::path::Path;

/// A release ends at a panic instead of unwinding (see `[profile.release]`), and has no names that a backtrace could show: the
/// tables of how to unwind are a tenth of the program that nothing reads.
const NO_UNWINDING: &str = "SECTIONS { /DISCARD/ : { *(.eh_frame) *(.gcc_except_table .gcc_except_table.*) } } INSERT AFTER .text;\n";

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    if is_release() && has_common_linker() {
        let script = Path::new(&var("OUT_DIR").unwrap_or_default()).join("no-unwinding.ld");
        std::fs::write(&script, NO_UNWINDING)?;
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
        println!("cargo::rustc-link-arg-bins=-T{}", script.display());
    }
    Ok(())
}

/// Whether the program is to be as it is shipped, without what debuggers read.
fn is_release() -> bool {
    is("PROFILE", "release") && is("DEBUG", "false")
}

/// Whether it is linked by lld or GNU ld, as rustc does where nobody has told it otherwise: not all others know such scripts.
fn has_common_linker() -> bool {
    let told = |name: &str, word: &str| var(name).is_ok_and(|given| given.contains(word));
    let linux = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") && !told("CARGO_CFG_TARGET_FEATURE", "crt-static");
    linux && var("RUSTC_LINKER").is_err() && !told("CARGO_ENCODED_RUSTFLAGS", "link") && !told("LD_PRELOAD", "mold")
}

fn is(name: &str, value: &str) -> bool {
    var(name).is_ok_and(|given| given == value)
}
