"""How the tests run: on a build machine property tests try the same examples every time, elsewhere new ones."""

import os

from hypothesis import settings

settings.register_profile("build", derandomize=True, deadline=None)
settings.register_profile("local", deadline=None)
settings.load_profile("build" if os.environ.get("CI") else "local")
