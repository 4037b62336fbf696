"""What makes and checks the packages of a release: `make release`."""
