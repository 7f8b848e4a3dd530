//! Launches that a device keeps and makes again: what the host decides for each is decided once.

use burn::tensor::Bytes;
use burn_cubecl::tensor::CubeTensor;
use cubecl::client::Graph;
use cubecl::server::ServerError;

/// Records what `act` launches on the device of `like`, and returns what it made: the launches fill it each time they are replayed, not
/// before. `act` runs twice, first for good: what it needs is allocated and compiled then. The second time it must launch the same, read
/// nothing back and upload nothing.
pub(crate) fn record<T>(
    like: &CubeTensor,
    mut act: impl FnMut() -> T,
) -> Result<(Graph, T), ServerError> {
    let client = &like.client;
    client.graph_prepare()?;
    drop(act());
    client.start_capture()?;
    let made = act();
    Ok((client.stop_capture()?, made))
}

/// Makes the launches of a recording again.
#[allow(unsafe_code, reason = "one call of the runtime, see below")]
pub(crate) fn replay(graph: &Graph) -> Result<(), ServerError> {
    // SAFETY: what is asked for is that buffers live and that nobody else uses them, for on some devices launches hold bare addresses.
    // Kernels of ours run on wgpu only, where a bind group keeps its buffers, and the pages of a recording are handed to nobody else as
    // long as it lives: what a careless caller finds is other numbers, not other memory.
    unsafe { graph.replay() }
}

/// Puts `words` into the memory of a tensor, of which they are all.
pub(crate) fn rewrite(tensor: &CubeTensor, words: &[u32]) {
    let bytes = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    tensor
        .client
        .write(&tensor.handle, Bytes::from_bytes_vec(bytes));
}
