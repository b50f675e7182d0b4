//! The `#[ktest]` attribute: registers a function as a test that runs inside the kernel.
//!
//! A procedural macro and not `macro_rules!` so that a test reads like an
//! ordinary `#[test]`. It expands to the function and one static in the
//! distributed slice `ochre_hal::ktest::KERNEL_TESTS`; it plants no `unsafe`
//! of its own.
#![forbid(unsafe_code)]

use proc_macro::{TokenStream, TokenTree};

/// Registers `fn name() { .. }` as an in-kernel test.
///
/// Use it under `#[cfg(feature = "ktest")]`. The function takes no arguments
/// and returns nothing; it fails by panicking.
#[proc_macro_attribute]
pub fn ktest(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut tokens = item.clone().into_iter();
    let name = loop {
        match tokens.next() {
            Some(TokenTree::Ident(word)) if word.to_string() == "fn" => match tokens.next() {
                Some(TokenTree::Ident(name)) => break name.to_string(),
                _ => return error("#[ktest] wants a function with a name"),
            },
            Some(_) => {}
            None => return error("#[ktest] goes on a function"),
        }
    };
    let registration: TokenStream = format!(
        "#[::ochre_hal::ktest::linkme::distributed_slice(::ochre_hal::ktest::KERNEL_TESTS)]
         #[linkme(crate = ::ochre_hal::ktest::linkme)]
         static KTEST_{}: ::ochre_hal::ktest::KernelTest = ::ochre_hal::ktest::KernelTest {{
             name: concat!(module_path!(), \"::{}\"), run: {} }};",
        name.to_uppercase(),
        name,
        name
    )
    .parse()
    .expect("the registration is well-formed Rust");
    let mut out = item;
    out.extend(registration);
    out
}

fn error(message: &str) -> TokenStream {
    format!("compile_error!({message:?});")
        .parse()
        .expect("a compile_error! call is well-formed Rust")
}
