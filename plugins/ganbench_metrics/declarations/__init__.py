"""What each metric says of its scores before anything is measured: one module for each family, none imports torch."""
