//! `--device cpu|wgpu|cuda|auto`: which burn device a command runs on.

use anyhow::Result;
use burn::tensor::Device;
use clap::ValueEnum;

/// Where tensors live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeviceChoice {
    /// CUDA if this build has it, else the CPU.
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

    /// Opens the device.
    ///
    /// # Errors
    /// When this build does not have the device.
    pub fn open(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            #[cfg(feature = "cuda")]
            Self::Auto | Self::Cuda => Ok(Device::cuda(0usize)),
            #[cfg(not(feature = "cuda"))]
            Self::Auto => Ok(Device::flex()),
            #[cfg(not(feature = "cuda"))]
            Self::Cuda => anyhow::bail!("this build has no CUDA; rebuild with `--features cuda`"),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::default())),
            #[cfg(not(feature = "wgpu"))]
            Self::Wgpu => anyhow::bail!("this build has no wgpu; rebuild with `--features wgpu`"),
        }
    }
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
}
