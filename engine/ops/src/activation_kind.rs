//! The activations there are.

/// An activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// [`super::gelu`]
    Gelu,
    /// [`super::gelu_tanh`]
    GeluTanh,
    /// [`super::silu`]
    Silu,
}
