"""bitcoind and LND for the tests on real daemons: found where they are installed, or built once into a cache.

Not part of the product: nothing in `coordinator` imports it. `python -m tools.daemons` is `./dev daemons`.
"""
