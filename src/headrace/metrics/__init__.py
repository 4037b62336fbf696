"""What is measured of an application: the catalogue of metrics, what records them, how they leave the process."""
