//! Links the kernel image with the machine's layout; does nothing on a host.
#![forbid(unsafe_code)]

fn main() {
    let none = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none");
    let (Ok(arch), Ok(here)) = (
        std::env::var("CARGO_CFG_TARGET_ARCH"),
        std::env::var("CARGO_MANIFEST_DIR"),
    ) else {
        return;
    };
    if none {
        let script = format!("{here}/../hal/src/arch/{arch}/kernel.ld");
        println!("cargo:rerun-if-changed={script}");
        println!("cargo:rustc-link-arg-bins=-T{script}");
    }
}
