"""Finds the packages: setuptools' own search cannot follow the mapping of the outer folders."""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["mogabench", "mogabench.*"]),
        *(
            f"mogabench.{name}"
            for name in find_packages(include=["tasks*", "recipes*", "results*"])
        ),
    ]
)
