//! Where photos are taken: twelve places with one phrase each.

use crate::identity::attribute;

attribute! {
    /// A background, as the phrase that ends a caption.
    Place {
        Bedroom = "in the bedroom", Kitchen = "in the kitchen", Library = "in the library",
        Beach = "on the beach", Forest = "in the forest", Garden = "in the garden",
        Snow = "in the snow", Desert = "in the desert", City = "in the city",
        Lake = "by the lake", Night = "under the stars", Moon = "on the moon",
    }
}
