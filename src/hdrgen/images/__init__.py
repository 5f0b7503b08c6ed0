"""Picture files: scene-linear light in OpenEXR and Radiance, code values in PNG, TIFF, JPEG and WebP."""
