//! What a thing is doing: the part of its look that changes from photo to photo and has a word.

use crate::identity::{Category, attribute};

attribute! {
    /// What a thing is doing, as a verb that follows "is".
    Pose {
        Standing = "standing", Sitting = "sitting", Jumping = "jumping", Sleeping = "sleeping",
        Lying = "lying", Flying = "flying", Swimming = "swimming", Driving = "driving",
    }
}

impl Pose {
    /// The two or three poses a category knows; each changes its silhouette.
    pub fn of(category: Category) -> &'static [Self] {
        use Pose::{Driving, Flying, Jumping, Lying, Sitting, Sleeping, Standing, Swimming};
        match category {
            Category::Cat | Category::Dog | Category::Rabbit | Category::Bear => {
                &[Standing, Sitting, Jumping, Sleeping]
            }
            Category::Robot | Category::Doll => &[Standing, Sitting, Jumping],
            Category::Dragon => &[Standing, Flying, Sleeping],
            Category::Bird => &[Standing, Flying, Sleeping],
            Category::Fish => &[Swimming, Jumping],
            Category::Car => &[Standing, Driving, Jumping],
            // A ball on its side is a ball.
            Category::Ball => &[Lying, Jumping],
            Category::Mug
            | Category::Teapot
            | Category::Lamp
            | Category::Plant
            | Category::Backpack => &[Standing, Lying, Jumping],
        }
    }

    /// Whether it is off the ground.
    pub(crate) fn airborne(self) -> bool {
        matches!(self, Self::Jumping | Self::Flying)
    }

    /// How far the whole thing is turned, in degrees clockwise.
    pub(crate) fn turn(self, category: Category) -> f32 {
        match (self, category) {
            (Self::Lying, Category::Ball) | (Self::Sleeping, Category::Dog) => 0.0,
            (Self::Sleeping | Self::Lying, _) => 90.0,
            (Self::Jumping, Category::Fish) => 55.0,
            (Self::Jumping, Category::Car) => 24.0,
            _ => 0.0,
        }
    }
}
