//! The one file that knows how burn's GPU runtime launches a kernel.

use super::{Access, Grid, Kernel};
use burn::backend::DispatchDevice;
use burn::tensor::{DType, Device, Int, Shape, Tensor};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::template::{KernelSource, SourceKernel, SourceTemplate};
use burn_cubecl::{CubeBackend, tensor::CubeTensor};
use cubecl::ir::attributes::BufferIOAttr;
use cubecl::prelude::{CubeCount, CubeDim, ExecutionMode, KernelId};
use cubecl::server::{KernelArguments, MetadataBindingInfo};

/// Whether the engine's WGSL kernels run on `device`.
///
/// True for wgpu devices whose shaders are compiled from WGSL; CUDA, SPIR-V, MSL and CPU devices
/// take the plain-burn bodies. Opens the device on first use.
pub fn available(device: &Device) -> bool {
    match device.as_dispatch() {
        DispatchDevice::Cube(device) => device.client().name() == "wgpu<wgsl>",
        #[allow(unreachable_patterns, reason = "the other variants exist by feature")]
        _ => false,
    }
}

/// Burn's kinds of tensors that kernels read and write.
pub(crate) trait CubeKind: Sized {
    /// The runtime's view of the tensor, contiguous.
    fn into_cube(self) -> CubeTensor;
    /// The tensor over the runtime's view.
    fn from_cube(tensor: CubeTensor) -> Self;
}

impl<const D: usize> CubeKind for Tensor<D> {
    fn into_cube(self) -> CubeTensor {
        into_contiguous(as_it_lies(self))
    }
    fn from_cube(tensor: CubeTensor) -> Self {
        Self::from_primitive::<CubeBackend>(tensor)
    }
}

impl<const D: usize> CubeKind for Tensor<D, Int> {
    fn into_cube(self) -> CubeTensor {
        // `available` was asked first, so the tensor is on this backend.
        let tensor = self
            .try_into_primitive::<CubeBackend>()
            .expect("a tensor of a wgpu device");
        into_contiguous(tensor)
    }
    fn from_cube(tensor: CubeTensor) -> Self {
        Self::from_primitive::<CubeBackend>(tensor)
    }
}

/// The runtime's view of a tensor on a device where kernels are [`available`].
pub(crate) fn into_cube<T: CubeKind>(tensor: T) -> CubeTensor {
    tensor.into_cube()
}

/// The runtime's view of a tensor, whatever its steps in memory are.
pub(super) fn as_it_lies<const D: usize>(tensor: Tensor<D>) -> CubeTensor {
    // `available` was asked first, so the tensor is on this backend.
    tensor
        .try_into_primitive::<CubeBackend>()
        .expect("a tensor of a wgpu device")
}

/// The burn tensor over a kernel's output.
pub(crate) fn from_cube<T: CubeKind>(tensor: CubeTensor) -> T {
    T::from_cube(tensor)
}

/// A tensor on the device of `like` for a kernel to fill.
///
/// Debug builds fill it with ones bits (NaN, -1) first, so that what a kernel forgets to write
/// shows; otherwise, and where launches are recorded, it holds whatever the memory held before.
pub(super) fn output(like: &CubeTensor, shape: impl Into<Shape>, dtype: DType) -> CubeTensor {
    let (client, device, shape) = (like.client.clone(), like.device.clone(), shape.into());
    if cfg!(debug_assertions) && !client.is_capturing() {
        let poison = client.create_from_slice(&vec![0xff; shape.num_elements() * dtype.size()]);
        return CubeTensor::new_contiguous(client, device, shape, poison, dtype);
    }
    empty_device_contiguous_dtype(client, device, shape, dtype)
}

/// Starts `kernel` over `grid` with the tensors and parameters in binding order.
///
/// # Panics
/// When the number of tensors or words is not what the table says.
pub(super) fn launch(kernel: &'static Kernel, grid: Grid, tensors: &[&CubeTensor], params: &[u32]) {
    assert_eq!(
        tensors.len(),
        kernel.buffers.len(),
        "{}: buffers",
        kernel.name
    );
    assert_eq!(
        params.len(),
        kernel.params_words,
        "{}: parameter words",
        kernel.name
    );
    let Grid([x, y, z]) = grid;
    // The runtime takes 64-bit words: two parameters each, the first in the low half.
    let words = params
        .chunks(2)
        .map(|pair| u64::from(pair[0]) | u64::from(*pair.get(1).unwrap_or(&0)) << 32)
        .collect();
    let mut arguments = KernelArguments::new().with_info(MetadataBindingInfo::custom(words));
    for (tensor, access) in tensors.iter().zip(kernel.buffers) {
        let io = match access {
            Access::Read => BufferIOAttr::ReadOnly,
            Access::Write => BufferIOAttr::WriteOnly,
            Access::Update => BufferIOAttr::ReadWrite,
        };
        arguments = arguments.with_buffer_io(tensor.handle.clone().binding(), io);
    }
    tensors[0].client.launch(
        Box::new(SourceKernel::new(
            Wgsl(kernel),
            CubeDim::new_1d(kernel.workgroup),
        )),
        CubeCount::Static(x, y, z),
        arguments,
    );
}

/// A table entry as the runtime's kernel.
struct Wgsl(&'static Kernel);

impl KernelSource for Wgsl {
    fn source(&self) -> SourceTemplate {
        SourceTemplate::new(self.0.source())
    }
    fn id(&self) -> KernelId {
        // Every compilation cache is keyed by this and never sees the text. Unchecked: naga would count the turns of every loop,
        // lest one never ends, and what lies in registers by number would go to memory. Attention took eight times as long so.
        // What is read and written is not checked either way: each text keeps to its sizes itself.
        KernelId::new::<Self>()
            .info((self.0.name, self.0.hash()))
            .mode(ExecutionMode::Unchecked)
    }
    fn lang(&self) -> &'static str {
        "wgsl"
    }
}
