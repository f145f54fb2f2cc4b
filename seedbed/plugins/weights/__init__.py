"""Built-in pretrained weights, a folder for each modality; each folder is a plugin of its own."""
