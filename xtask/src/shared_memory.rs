//! A module over a memory that workers share: what the linker is told, and what its result lacks.

use anyhow::{Context, Result, bail, ensure};
use wasmparser::{ExternalKind, Parser, Payload, TypeRef};

/// Arguments of the linker. The compiler's own libraries are made for one thread, which `--no-check-features` lets pass: helpers run
/// nothing but pieces of work (`wasm-pkg/src/threads.rs`). The rest is what wasm-bindgen looks for in a module with threads.
pub(crate) const LINK: [&str; 8] = [
    "--shared-memory",
    "--import-memory",
    "--max-memory=4294967296",
    "--no-check-features",
    "--export=__wasm_init_tls",
    "--export=__tls_size",
    "--export=__tls_align",
    "--export=__tls_base",
];

/// The global that says how thread-locals are aligned.
const ALIGN: &str = "__tls_align";
/// The instruction `i32.const`.
const CONST: u8 = 0x41;

/// Makes the alignment of thread-locals 1 where it is 0, as the linker leaves it when there are none: wasm-bindgen has every thread
/// allocate them, and no allocator takes an alignment of 0.
///
/// # Errors
/// When it is no module with such a global, or that is made in another way.
pub(crate) fn align_thread_locals(module: &mut [u8]) -> Result<()> {
    let at = value_of(module, ALIGN)?;
    match module.get_mut(at) {
        Some(value @ 0) => *value = 1,
        Some(_) => {}
        None => bail!("{ALIGN} ends the module"),
    }
    Ok(())
}

/// Where the value of the exported global `name`, a constant, begins in a module.
fn value_of(module: &[u8], name: &str) -> Result<usize> {
    let (mut imported, mut starts, mut wanted) = (0, Vec::new(), None);
    for payload in Parser::new(0).parse_all(module) {
        match payload.context("reading the linked module")? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    imported += usize::from(matches!(import?.ty, TypeRef::Global(_)));
                }
            }
            Payload::GlobalSection(globals) => {
                for global in globals {
                    starts.push(global?.init_expr.get_binary_reader().original_position());
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    if export.name == name && export.kind == ExternalKind::Global {
                        wanted = Some(export.index as usize);
                    }
                }
            }
            _ => {}
        }
    }
    let index = wanted.with_context(|| format!("the module exports no global {name}"))?;
    let own = index.checked_sub(imported).and_then(|own| starts.get(own));
    let start = *own.with_context(|| format!("{name} is imported"))?;
    ensure!(
        module.get(start) == Some(&CONST),
        "{name} is no constant of 32 bits"
    );
    Ok(start + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An imported global, and two of its own of which the second is exported.
    fn module(align: u8) -> Vec<u8> {
        let mut bytes = b"\0asm\x01\0\0\0".to_vec();
        let mut section = |id: u8, content: &[u8]| {
            bytes.extend([id, content.len() as u8]);
            bytes.extend(content);
        };
        section(2, b"\x01\x01e\x01g\x03\x7f\0");
        section(6, &[2, 0x7f, 0, 0x41, 7, 0x0b, 0x7f, 0, 0x41, align, 0x0b]);
        section(7, b"\x01\x0b__tls_align\x03\x02");
        bytes
    }

    #[test]
    fn an_alignment_of_nothing_becomes_one_and_any_other_stays() {
        for (before, after) in [(0, 1), (1, 1), (8, 8)] {
            let mut bytes = module(before);
            align_thread_locals(&mut bytes).unwrap();
            assert_eq!(bytes, module(after));
        }
    }

    #[test]
    fn what_is_no_such_module_is_named() {
        let said = |mut bytes: Vec<u8>| align_thread_locals(&mut bytes).unwrap_err().to_string();
        assert!(said(b"\0asm\x01\0\0\0".to_vec()).contains("exports no global"));
        assert!(said(b"no module".to_vec()).contains("reading"));
        let mut imported = module(0);
        *imported.last_mut().unwrap() = 0;
        assert!(said(imported).contains("imported"));
    }
}
