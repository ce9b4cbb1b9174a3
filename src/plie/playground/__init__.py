"""The playground: a page in the browser that trains real networks while one looks on."""
