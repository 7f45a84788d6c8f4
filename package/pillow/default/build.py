"""Pillow reads images through C libraries, which go in statically: robots have none of them in a known version."""

from builder import package_build

package_build.build_package(
    libraries=["freetype", "libjpeg", "zlib"],
    config_settings={
        "platform-guessing": "disable",
        "zlib": "enable",
        "jpeg": "enable",
        "freetype": "enable",
        **dict.fromkeys(["tiff", "webp", "jpeg2000", "lcms", "imagequant", "raqm", "xcb", "avif"], "disable"),
    },
    ldflags=["-lpng16", "-lbrotlidec", "-lbrotlicommon", "-lz"],
    native=["PIL/_imaging.*.so", "PIL/_imagingft.*.so"],
    checks=[
        {
            "kind": "program",
            "name": "pillow compresses, reads and writes text",
            "timeout": 60,
            "source": (
                "import io\n"
                "from PIL import Image, ImageDraw, ImageFont, features\n"
                "image = Image.new('RGB', (64, 32), 'white')\n"
                "ImageDraw.Draw(image).text((2, 2), 'OT-2', fill='black', font=ImageFont.load_default(12))\n"
                "for kind in ('PNG', 'JPEG'):\n"
                "    file = io.BytesIO()\n"
                "    image.save(file, kind)\n"
                "    assert Image.open(io.BytesIO(file.getvalue())).convert('L').getextrema()[0] < 100\n"
                "assert features.check('freetype2') and features.check('jpg') and features.check('zlib')\n"
            ),
        }
    ],
    reason="""
    Left to itself its setup.py looks for libraries in /usr, which are this computer's. PNG, JPEG and fonts are in;
    TIFF, WebP, AVIF, JPEG 2000 and colour management are not.
    """,
)
