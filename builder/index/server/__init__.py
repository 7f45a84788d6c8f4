"""The server of an index: addresses, pages and files as clients ask for them."""
