"""Conv-4, the small convolutional network of the first few-shot papers."""

from fewshot_sla.backbones.convnet import ConvNet


class Conv4(ConvNet):
    """Four blocks of 3x3 convolution, BatchNorm, ReLU and 2x2 max-pooling; the output is flattened.

    ``D = channels * (H // 16) * (W // 16)``: 64 for 28x28 images, 256 for 32x32, 1600 for 84x84.

    Vinyals et al., "Matching Networks for One Shot Learning", 2016, section 4.1; Snell et al., "Prototypical Networks
    for Few-shot Learning", 2017, section 3.1.

    Convolutions have biases, and start as torch starts them: 113,088 parameters for colour images. MetaOptNet's program
    leaves the biases out (112,832) and draws weights with a variance of 2 / (9 * 64).

    Args:
        in_channels: channels of the images: 3 for colour, 1 for grey.
        channels: width of every block; 64 in the papers.

    Raises:
        UserError: if ``in_channels`` or ``channels`` is less than 1.
    """

    def __init__(self, in_channels: int = 3, channels: int = 64) -> None:
        super().__init__(in_channels, channels, blocks=4)
