"""A regtest network of real daemons on loopback: one bitcoind, LND nodes, channels between them.

For tests and for `./dev start --services real`. The wallets are unprotected and anyone may spend the faucet's coins.
"""

from tools.regtest.bitcoind import Bitcoind, RpcRefused
from tools.regtest.daemon import DidNotStart
from tools.regtest.lnd import Lnd, LndRefused
from tools.regtest.rig import Channel, Rig

__all__ = ["Bitcoind", "Channel", "DidNotStart", "Lnd", "LndRefused", "Rig", "RpcRefused"]
