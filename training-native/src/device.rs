//! `--device cpu|wgpu|cuda|auto`: which burn device a command runs on.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

use anyhow::{Context, Result};
use burn::tensor::{Device, Tensor};
use clap::ValueEnum;

/// Where tensors live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeviceChoice {
    /// CUDA if this build and this machine have it, else the CPU.
    Auto,
    /// The CPU, on all cores.
    Cpu,
    /// WebGPU's native twin: Vulkan, Metal or DirectX 12.
    Wgpu,
    /// An NVIDIA GPU (build with `--features cuda`).
    Cuda,
}

impl DeviceChoice {
    /// Threads that compute gradients side by side on it where nothing else is said: a GPU is shared by none.
    pub fn shards(self) -> usize {
        match self {
            Self::Cpu => 2,
            Self::Auto if !cfg!(feature = "cuda") => 2,
            Self::Auto | Self::Wgpu | Self::Cuda => 1,
        }
    }

    /// The word that asks for it on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
        }
    }

    /// Opens the device, and tries it where it is a GPU.
    ///
    /// # Errors
    /// When this build or this machine does not have the device.
    pub fn open(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            #[cfg(feature = "cuda")]
            Self::Auto => Ok(answering(|| Device::cuda(0usize)).unwrap_or_else(Device::flex)),
            #[cfg(not(feature = "cuda"))]
            Self::Auto => Ok(Device::flex()),
            #[cfg(feature = "cuda")]
            Self::Cuda => answering(|| Device::cuda(0usize))
                .context("no NVIDIA GPU answers here: is its driver installed? `--device cpu` needs none"),
            #[cfg(not(feature = "cuda"))]
            Self::Cuda => anyhow::bail!("this build has no CUDA; rebuild with `--features cuda`"),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => answering(|| Device::wgpu(burn::tensor::DeviceKind::default()))
                .context("no GPU answers here: is a driver of Vulkan, Metal or DirectX 12 installed? `--device cpu` needs none"),
            #[cfg(not(feature = "wgpu"))]
            Self::Wgpu => anyhow::bail!("this build has no wgpu; rebuild with `--features wgpu`"),
        }
    }
}

/// The device that `open` gives, if it can add. burn panics, in a thread of its own as well, where a driver is missing, and has no
/// call that asks; nothing of that is printed.
#[cfg_attr(
    not(any(feature = "cuda", feature = "wgpu")),
    allow(dead_code, reason = "only GPUs can be missing")
)]
fn answering(open: impl FnOnce() -> Device) -> Option<Device> {
    let hook = take_hook();
    set_hook(Box::new(|_| ()));
    let found = catch_unwind(AssertUnwindSafe(|| {
        let device = open();
        let sum = Tensor::<1>::from_data([1.0], &device).add_scalar(1.0);
        let sum = sum.try_into_data().ok()?.convert::<f32>();
        (sum.try_to_vec::<f32>().ok()? == [2.0]).then_some(device)
    }));
    set_hook(hook);
    found.ok().flatten()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn every_device_is_asked_for_by_its_word() {
        for choice in DeviceChoice::value_variants() {
            let asked = choice.to_possible_value().unwrap();
            assert_eq!(asked.get_name(), choice.word());
        }
    }

    #[test]
    fn a_device_that_panics_is_not_there_and_one_that_adds_is() {
        assert!(answering(|| panic!("no driver")).is_none());
        assert!(answering(Device::flex).is_some());
    }
}
