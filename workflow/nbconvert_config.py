"""Show a notebook run by hand as the book does: ``jupyter nbconvert --config workflow/nbconvert_config.py out.ipynb``."""

import sys
from pathlib import Path

workflow = Path(__file__).resolve().parent
sys.path.insert(0, str(workflow))
import by_hand  # noqa: E402

c = get_config()  # noqa: F821 (nbconvert defines it)
c.NbConvertApp.export_format = "html"
c.HTMLExporter.preprocessors = [by_hand.show]
c.HTMLExporter.template_name = "book"
c.HTMLExporter.extra_template_basedirs = [str(workflow / "nbconvert")]
