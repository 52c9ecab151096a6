//! Boots images in virtual machines and judges what they say.
