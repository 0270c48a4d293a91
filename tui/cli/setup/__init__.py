"""The first configuration: what is asked, what is written, and the first start with a test delivery."""
