"""The built-in plugins: one technique a file, the embedded models and the sample photos."""

# Modules, in the order of the page; a plugin is called as its module.
PLUGINS = (
    "embedded.sample_photos",
    "embedded.embedded_photos",
    "embedded.efficientnet_lite",
    "activations.filters",
    "activations.activation_maps",
    "activations.maximal_patches",
    "activations.unit_sheet",
    "activations.nearest_neighbors",
    "activations.embedding_map",
    "activations.occlusion",
    "gradients.saliency",
    "gradients.saliency_segmentation",
    "gradients.guided_backprop",
    "gradients.grad_cam",
    "synthesis.gradient_ascent",
    "synthesis.fooling",
    "synthesis.deepdream",
    "synthesis.feature_inversion",
    "synthesis.texture",
    "synthesis.texture_patchwise",
    "synthesis.style_transfer",
)
