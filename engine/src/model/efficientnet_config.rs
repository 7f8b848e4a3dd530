//! Dimensions of EfficientNet-Lite: what its two coefficients make of the stages of Tan and Le.

use serde::{Deserialize, Serialize};

use super::config::{positive, refuse};
use crate::Result;
use crate::ops::Window;

/// EfficientNet-Lite (Tan and Le, arXiv 1905.11946, without squeeze and excitation and with ReLU6 in place of swish), under
/// the names of its PyTorch code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EfficientNetConfig {
    /// Architecture family, `efficientnet_lite`.
    pub model_type: String,
    /// Factor on the channels of all stages but stem and head.
    pub width_coefficient: f64,
    /// Factor on the repetitions of all stages but the first and the last.
    pub depth_coefficient: f64,
    /// Side of the photos it was trained on, pixels. Padding is that of this side, whatever the photo's.
    pub image_size: usize,
    /// Categories of the classifier.
    pub num_classes: usize,
}

/// Channels of the stem.
const STEM: usize = 32;
/// Channels of the feature map.
const HEAD: usize = 1280;
/// Channels are multiples of this.
const DIVISOR: usize = 8;
/// Largest coefficient; that of the largest published network is 5.3.
const LARGEST: f64 = 8.0;

/// A stage as the paper has it for coefficients of 1.
struct Stage {
    repeats: usize,
    kernel: usize,
    stride: usize,
    expand: usize,
    channels: usize,
}

const fn stage(
    repeats: usize,
    kernel: usize,
    stride: usize,
    expand: usize,
    channels: usize,
) -> Stage {
    Stage {
        repeats,
        kernel,
        stride,
        expand,
        channels,
    }
}

/// Table 1 of the paper.
const STAGES: [Stage; 7] = [
    stage(1, 3, 1, 1, 16),
    stage(2, 3, 2, 6, 24),
    stage(2, 5, 2, 6, 40),
    stage(3, 3, 2, 6, 80),
    stage(3, 5, 1, 6, 112),
    stage(4, 5, 2, 6, 192),
    stage(1, 3, 1, 6, 320),
];

/// One inverted bottleneck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockShape {
    /// Channels in.
    pub input: usize,
    /// Channels between expansion and projection; as many as `input` where nothing is expanded.
    pub inner: usize,
    /// Channels out.
    pub output: usize,
    /// The convolution in its middle.
    pub window: Window,
}

impl EfficientNetConfig {
    /// The published sizes: name, width and depth coefficients, side of their photos.
    pub const PUBLISHED: [(&'static str, f64, f64, usize); 5] = [
        ("lite0", 1.0, 1.0, 224),
        ("lite1", 1.0, 1.1, 240),
        ("lite2", 1.1, 1.2, 260),
        ("lite3", 1.2, 1.4, 280),
        ("lite4", 1.4, 1.8, 300),
    ];

    /// A network of these coefficients.
    pub fn published(width: f64, depth: f64, side: usize, classes: usize) -> Self {
        Self {
            model_type: "efficientnet_lite".into(),
            width_coefficient: width,
            depth_coefficient: depth,
            image_size: side,
            num_classes: classes,
        }
    }

    /// The convolution of the stem.
    pub fn stem(&self) -> (usize, Window) {
        (STEM, Window::same(3, 2, self.image_size))
    }

    /// Channels of the feature map.
    pub fn width(&self) -> usize {
        HEAD
    }

    /// Pixels of the photo that one cell of the feature map stands for, along a side.
    pub fn stride(&self) -> usize {
        STAGES.iter().map(|stage| stage.stride).product::<usize>() * 2
    }

    /// The last block before the map is halved for the last time: what it gives is twice as fine as the features.
    pub fn fine_block(&self) -> usize {
        let blocks = self.blocks();
        let halved = blocks.iter().rposition(|block| block.window.stride == 2);
        halved.unwrap_or(1).saturating_sub(1)
    }

    /// All blocks in order.
    pub fn blocks(&self) -> Vec<BlockShape> {
        let mut blocks = Vec::new();
        let mut input = STEM;
        let mut side = self.image_size.div_ceil(2);
        for (at, stage) in STAGES.iter().enumerate() {
            let output = self.channels(stage.channels);
            let fixed = at == 0 || at == STAGES.len() - 1;
            let repeats = match fixed {
                true => stage.repeats,
                false => (self.depth_coefficient * stage.repeats as f64).ceil() as usize,
            };
            for repeat in 0..repeats {
                let stride = if repeat == 0 { stage.stride } else { 1 };
                blocks.push(BlockShape {
                    input,
                    inner: input * stage.expand,
                    output,
                    window: Window::same(stage.kernel, stride, side),
                });
                side = side.div_ceil(stride);
                input = output;
            }
        }
        blocks
    }

    /// `round_filters` of the original: the nearest multiple of [`DIVISOR`], never a tenth less.
    fn channels(&self, channels: usize) -> usize {
        let wanted = channels as f64 * self.width_coefficient;
        let nearest = (wanted + DIVISOR as f64 / 2.0) as usize / DIVISOR * DIVISOR;
        let channels = nearest.max(DIVISOR);
        if (channels as f64) < 0.9 * wanted {
            channels + DIVISOR
        } else {
            channels
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        for (key, value) in [
            ("width_coefficient", self.width_coefficient),
            ("depth_coefficient", self.depth_coefficient),
        ] {
            if !(value > 0.0 && value <= LARGEST) {
                return Err(refuse(
                    key,
                    format!("must be above 0 and at most {LARGEST}"),
                ));
            }
        }
        positive("image_size", self.image_size)?;
        positive("num_classes", self.num_classes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lite(width: f64, depth: f64, side: usize) -> EfficientNetConfig {
        EfficientNetConfig::published(width, depth, side, 1000)
    }

    #[test]
    fn the_published_sizes_have_the_published_blocks() {
        let outputs = |config: &EfficientNetConfig| -> Vec<usize> {
            config.blocks().iter().map(|block| block.output).collect()
        };
        let lite0 = lite(1.0, 1.0, 224);
        assert_eq!(
            outputs(&lite0),
            [
                16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192, 192, 192, 192, 320
            ]
        );
        assert_eq!((lite0.stride(), lite0.fine_block()), (32, 10));
        // Stem and head stay, the rest grows.
        let lite2 = lite(1.1, 1.2, 260);
        assert_eq!(lite2.blocks().len(), 1 + 3 + 3 + 4 + 4 + 5 + 1);
        assert_eq!(outputs(&lite2)[..3], [16, 24, 24]);
        assert_eq!(outputs(&lite2).last(), Some(&352));
    }

    #[test]
    fn padding_is_that_of_the_trained_side() {
        let (_, stem) = lite(1.0, 1.0, 224).stem();
        assert_eq!((stem.before, stem.after), (0, 1));
        assert_eq!(
            (stem.outputs(224), stem.outputs(225), stem.outputs(223)),
            (112, 112, 111)
        );
        // 240 / 16 is odd: five taps, two of them outside on either side.
        let blocks = lite(1.0, 1.1, 240).blocks();
        let last = blocks
            .iter()
            .rfind(|block| block.window.stride == 2)
            .unwrap();
        assert_eq!((last.window.before, last.window.after), (2, 2));
    }
}
