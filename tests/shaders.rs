//! Every shader is valid WGSL and agrees with the table of kernels; no GPU is needed.
#![allow(clippy::unwrap_used, reason = "tests")]

use naga::front::wgsl;
use naga::proc::Layouter;
use naga::valid::{Capabilities, GlobalUse, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, StorageAccess};
use namelens_engine::kernels::{self, Access, Kernel, cosine_scores, matmul, matvec};
use std::collections::BTreeSet;
use std::path::Path;

/// Limits every WebGPU device guarantees.
const MAX_INVOCATIONS: u32 = 256;
const MAX_STORAGE_BUFFERS: usize = 8;
const MAX_WORKGROUP_BYTES: u32 = 16_384;

/// Parses and validates without any optional capability: f16, subgroups and the like are errors.
fn validated(kernel: &Kernel) -> (Module, ModuleInfo) {
    let source = kernel.source();
    let module = wgsl::parse_str(&source)
        .unwrap_or_else(|error| panic!("{}: {}", kernel.name, error.emit_to_string(&source)));
    let info = Validator::new(ValidationFlags::all(), Capabilities::empty())
        .validate(&module)
        .unwrap_or_else(|error| panic!("{}: {}", kernel.name, error.emit_to_string(&source)));
    (module, info)
}

fn layouter(module: &Module) -> Layouter {
    let mut layouter = Layouter::default();
    layouter.update(module.to_ctx()).unwrap();
    layouter
}

#[test]
fn workgroup_sizes_are_those_of_the_table() {
    for kernel in kernels::all() {
        let (module, _) = validated(kernel);
        assert_eq!(module.entry_points.len(), 1, "{}", kernel.name);
        let main = &module.entry_points[0];
        assert_eq!(main.name, "main", "{}", kernel.name);
        assert_eq!(
            main.workgroup_size,
            [kernel.workgroup, 1, 1],
            "{}",
            kernel.name
        );
        assert!(kernel.workgroup <= MAX_INVOCATIONS, "{}", kernel.name);
    }
}

#[test]
fn bindings_are_those_of_the_table() {
    for kernel in kernels::all() {
        let (module, info) = validated(kernel);
        let layouter = layouter(&module);
        let mut seen = BTreeSet::new();
        for (handle, global) in module.global_variables.iter() {
            let Some(binding) = &global.binding else {
                continue;
            };
            let name = format!("{}: {}", kernel.name, global.name.as_deref().unwrap_or("?"));
            assert_eq!(binding.group, 0, "{name}");
            assert!(
                seen.insert(binding.binding),
                "{name}: binding {} twice",
                binding.binding
            );
            // The bind group layout is derived from use: an unused binding would shift the launch.
            assert_ne!(
                info.get_entry_point(0)[handle],
                GlobalUse::empty(),
                "{name} is unused"
            );
            if binding.binding as usize == kernel.buffers.len() {
                assert_eq!(global.space, AddressSpace::Uniform, "{name}");
                assert_eq!(
                    layouter[global.ty].size as usize,
                    kernel.params_words * 4,
                    "{name}: bytes"
                );
            } else {
                let access = StorageAccess::LOAD | StorageAccess::STORE;
                assert_eq!(global.space, AddressSpace::Storage { access }, "{name}");
                let used = info.get_entry_point(0)[handle];
                let told = kernel.buffers[binding.binding as usize];
                let (reads, writes) = (GlobalUse::READ, GlobalUse::WRITE);
                // A text that only writes may write some of it: that is for the table to tell.
                let fits = match told {
                    Access::Read => used & (reads | writes) == reads,
                    Access::Write => used & (reads | writes) == writes,
                    Access::Update => used.contains(writes),
                };
                assert!(fits, "{name}: told as {told:?}, used as {used:?}");
            }
        }
        let expected: BTreeSet<u32> = (0..=kernel.buffers.len() as u32).collect();
        assert_eq!(
            seen, expected,
            "{}: buffers, then the parameters",
            kernel.name
        );
        assert!(
            kernel.buffers.len() <= MAX_STORAGE_BUFFERS,
            "{}",
            kernel.name
        );
    }
}

#[test]
fn workgroup_memory_fits_every_device() {
    for kernel in kernels::all() {
        let (module, _) = validated(kernel);
        let layouter = layouter(&module);
        let bytes: u32 = module
            .global_variables
            .iter()
            .filter(|(_, global)| global.space == AddressSpace::WorkGroup)
            .map(|(_, global)| layouter[global.ty].size)
            .sum();
        assert!(
            bytes <= MAX_WORKGROUP_BYTES,
            "{}: {bytes} bytes",
            kernel.name
        );
    }
}

#[test]
fn lanes_and_tiles_are_those_the_plans_count_with() {
    let products = |tables: &'static [[Kernel; 6]], name, count| {
        let entries = tables.iter().flatten();
        entries.map(move |kernel| (kernel, name, count))
    };
    let scores = &cosine_scores::KERNEL;
    let expected = [(scores, "LANES", cosine_scores::LANES)]
        .into_iter()
        .chain(products(&matvec::ENTRIES, "LANES", matvec::LANES))
        .chain(products(&matmul::ENTRIES, "TILE", matmul::TILE as u32));
    for (kernel, name, count) in expected {
        let (module, _) = validated(kernel);
        let (_, constant) = module
            .constants
            .iter()
            .find(|(_, constant)| constant.name.as_deref() == Some(name))
            .unwrap();
        let value = &module.global_expressions[constant.init];
        let is_equal =
            matches!(value, naga::Expression::Literal(naga::Literal::U32(n)) if *n == count);
        assert!(
            is_equal,
            "{}: {name} is {value:?}, not {count}",
            kernel.name
        );
    }
}

#[test]
fn every_shader_file_is_in_a_kernel() {
    // At run time: a build directory shared by two checkouts keeps the path of the other.
    let shaders = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../shaders");
    let mut count = 0;
    for folder in [shaders.clone(), shaders.join("common")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path
                .extension()
                .is_some_and(|extension| extension == "wgsl")
            {
                let text = std::fs::read_to_string(&path).unwrap();
                let used = kernels::all().any(|kernel| kernel.sources.contains(&text.as_str()));
                assert!(used, "{} is in no kernel", path.display());
                // The launcher passes the text through a template engine with this mark.
                assert!(
                    !text.contains("{{"),
                    "{} holds a template mark",
                    path.display()
                );
                count += 1;
            }
        }
    }
    assert!(count > 30, "only {count} shader files found");
}
