"""Picture files: scene-linear light in OpenEXR and Radiance, code values in PNG, TIFF and JPEG."""
