"""Shell completion: the candidates at the cursor, and the scripts of bash, zsh and fish that ask for them."""
