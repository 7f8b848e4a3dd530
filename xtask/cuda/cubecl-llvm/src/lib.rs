//! The names that `cubecl-cuda` needs of `cubecl-llvm`, without LLVM: kernels are compiled by NVRTC (`cubecl/cuda-cpp`).
//!
//! The real crate downloads a bundle of LLVM when it is built, which CI and many networks do not allow, and with `cuda-cpp`
//! nothing of it is ever called. `cargo xtask check --cuda` puts this in its place; a build for users takes the real one.

use cubecl_core::ir::nvidia::SmArch;
use cubecl_core::prelude::KernelDefinition;
use cubecl_runtime::compiler::CompilationError;
use cubecl_runtime::kernel::BufferIOAttr;

/// Versions of NVIDIA's assembly.
pub mod nvptx {
    /// Versions of NVIDIA's assembly.
    pub mod ptx_version {
        /// A version; there is none here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct PtxVersion(u32);

        impl PtxVersion {
            /// None: nothing is assembled.
            pub fn for_driver(_driver: i32) -> Option<Self> {
                None
            }
        }

        impl core::fmt::Display for PtxVersion {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    }
}

/// What targets have in common.
pub mod shared {
    /// Which features a target lacks.
    pub mod lowered_features {
        /// Targets.
        pub enum GpuTarget {
            /// NVIDIA's.
            Nvptx,
        }

        /// Takes nothing away.
        pub fn restrict_features<P>(_properties: &mut P, _target: GpuTarget) {}
    }
}

/// Targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LlvmTarget {
    /// The processor.
    #[default]
    Cpu,
    /// NVIDIA's.
    Nvptx,
}

/// The compiler that is not here.
#[derive(Clone, Debug, Default)]
pub struct PlironCompiler {
    /// Its target.
    pub target: LlvmTarget,
}

/// Its options.
#[derive(Clone, Debug, Default)]
pub struct PlironOptions {
    /// A processor.
    pub arch: Option<()>,
    /// A GPU.
    pub sm_arch: Option<SmArch>,
    /// The version of its assembly.
    pub ptx_version: Option<nvptx::ptx_version::PtxVersion>,
    /// Whether arguments are constants of the grid.
    pub grid_constants: bool,
    /// So that `..Default::default()` always has something left.
    pub unused: (),
}

/// A compiled kernel.
#[derive(Clone, Debug)]
pub struct NvptxModule {
    /// Its assembly.
    pub ptx: Vec<core::ffi::c_char>,
    /// Where it begins.
    pub entrypoint: String,
    /// What it was compiled from.
    pub ir: String,
    /// Bytes that a group shares.
    pub shared_memory_size: usize,
    /// What it does with its buffers.
    pub io: Vec<BufferIOAttr>,
}

/// What a compilation gives.
pub enum PlironArtifact {
    /// A kernel.
    NvptxCode(NvptxModule),
    /// Something else.
    Other,
}

impl PlironCompiler {
    /// Cannot.
    ///
    /// # Panics
    /// Always: a build that gets here lacks the feature `cuda-cpp`.
    pub fn compile(
        &mut self,
        _kernel: KernelDefinition,
        _options: &PlironOptions,
    ) -> Result<PlironArtifact, CompilationError> {
        panic!("LLVM is not in this build; it needs the feature `cubecl/cuda-cpp`")
    }

    /// The name of its language.
    pub fn lang_tag(&self) -> &'static str {
        "llvm"
    }
}
