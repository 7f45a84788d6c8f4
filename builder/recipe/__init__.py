"""Recipes: how one project is built, as data read from its build.py."""

from builder.recipe.recipe import DEFAULT, Recipe, find, load, versions

__all__ = ["DEFAULT", "Recipe", "find", "load", "versions"]
