"""The built-in plugins: one technique a file, the embedded models and the sample photos."""

BUILTIN = (
    "sample_photos",
    "embedded_photos",
    "efficientnet_lite",
    "filters",
    "activation_maps",
    "maximal_patches",
    "unit_sheet",
    "occlusion",
    "saliency",
    "saliency_segmentation",
    "guided_backprop",
    "grad_cam",
    "gradient_ascent",
    "fooling",
    "deepdream",
    "feature_inversion",
    "texture",
    "texture_patchwise",
    "style_transfer",
)
