//! EfficientNet-Lite: no class of `transformers`, so every key must be there.

use super::{Family, Json, Reader};
use crate::Result;
use crate::model::efficientnet_config::EfficientNetConfig;
use crate::model::feature_config::FeatureConfig;

pub(super) const FAMILY: Family = Family {
    model_types: &[("efficientnet_lite", "")],
    read: Reader::Features(config),
    names: &[],
    gguf: None,
};

fn config(json: &Json) -> Result<FeatureConfig> {
    Ok(FeatureConfig::Convolutional(EfficientNetConfig {
        model_type: json.text("model_type")?,
        width_coefficient: json.real("width_coefficient")?,
        depth_coefficient: json.real("depth_coefficient")?,
        image_size: json.number("image_size")?,
        num_classes: json.number("num_classes")?,
    }))
}
