//! EfficientNet-Lite: a photo to a map of features, and a feature to the words of its classifier.

use burn::module::Module;
use burn::tensor::{Tensor, activation::softmax};

use super::convolution::{Depthwise, Pointwise};
use super::efficientnet_config::{BlockShape, EfficientNetConfig};
use super::linear::Linear;
use super::params::ParamBuilder;
use crate::Result;
use crate::ops::Window;

/// The network, its batch norms folded into the convolutions before them.
#[derive(Module, Debug)]
pub struct EfficientNet {
    stem: Pointwise,
    blocks: Vec<Block>,
    head: Pointwise,
    classifier: Linear,
    #[module(skip)]
    window: Window,
}

/// An inverted bottleneck: expanded, convolved channel by channel, projected.
#[derive(Module, Debug)]
struct Block {
    expand: Option<Pointwise>,
    depthwise: Depthwise,
    project: Pointwise,
    residual: bool,
}

impl EfficientNet {
    /// Builds the network under the names of its PyTorch code, without the batch norms: `_conv_stem`, `_blocks.0._expand_conv`,
    /// `_blocks.0._depthwise_conv`, `_blocks.0._project_conv`, `_conv_head`, `_fc`, each with `weight` and `bias`. Kernels of
    /// one pixel are matrices `[out, in]`, that of the stem is `[out, 27]` with the channel last, depthwise ones are
    /// `[kernel * kernel, channels]`.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] when the source lacks a tensor.
    pub fn new(p: &mut ParamBuilder<'_>, config: &EfficientNetConfig) -> Result<Self> {
        let (channels, window) = config.stem();
        let stem = Pointwise::new(p, "_conv_stem", 3 * window.kernel * window.kernel, channels)?;
        let shapes = config.blocks();
        let blocks = shapes
            .iter()
            .enumerate()
            .map(|(at, shape)| Block::new(p, &format!("_blocks.{at}"), shape))
            .collect::<Result<_>>()?;
        let last = shapes.last().map_or(channels, |shape| shape.output);
        Ok(Self {
            stem,
            blocks,
            head: Pointwise::new(p, "_conv_head", last, config.width())?,
            classifier: Linear::new(p, "_fc", config.width(), config.num_classes, true)?,
            window,
        })
    }

    /// Number of blocks; [`Self::block`] runs one of them.
    pub fn depth(&self) -> usize {
        self.blocks.len()
    }

    /// The stem: pixels `[N, H, W, 3]` -> `[N, H', W', 32]`, half as large.
    pub fn enter(&self, pixels: Tensor<4>) -> Tensor<4> {
        self.stem.stem(pixels, self.window)
    }

    /// One block, `[N, H, W, in]` -> `[N, H', W', out]`.
    ///
    /// # Panics
    /// When there is no block of this number.
    pub fn block(&self, at: usize, x: Tensor<4>) -> Tensor<4> {
        self.blocks[at].forward(x)
    }

    /// The head: `[N, H, W, C]` -> features `[N, H, W, 1280]`, none negative.
    pub fn leave(&self, x: Tensor<4>) -> Tensor<4> {
        self.head.forward(x)
    }

    /// All of it: pixels `[N, H, W, 3]`, normalised, -> features `[N, H / 32, W / 32, 1280]`.
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<4> {
        let x = (0..self.depth()).fold(self.enter(pixels), |x, at| self.block(at, x));
        self.leave(x)
    }

    /// Shares of the categories, `[N, classes]`, for means of features `[N, 1280]`.
    pub fn classify(&self, features: Tensor<2>) -> Tensor<2> {
        softmax(self.classifier.forward(features), 1)
    }
}

impl Block {
    fn new(p: &mut ParamBuilder<'_>, name: &str, shape: &BlockShape) -> Result<Self> {
        let BlockShape {
            input,
            inner,
            output,
            window,
        } = *shape;
        let expand = match inner == input {
            true => None,
            false => Some(Pointwise::new(
                p,
                &format!("{name}._expand_conv"),
                input,
                inner,
            )?),
        };
        Ok(Self {
            expand,
            depthwise: Depthwise::new(p, &format!("{name}._depthwise_conv"), inner, window)?,
            project: Pointwise::new(p, &format!("{name}._project_conv"), inner, output)?,
            residual: window.stride == 1 && input == output,
        })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let expand = self.expand.as_ref();
        self.depthwise
            .between(x, expand, &self.project, self.residual)
    }
}
