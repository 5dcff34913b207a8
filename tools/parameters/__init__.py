"""How the published parameters in the package were made from archives that anybody can get."""
