"""Embedded regtest node: Bitcoin Core's validation engine behind Core's JSON-RPC and Esplora's REST.

    codec, block, script, address, descriptor     bytes and their readings
    kernel                                        the validation engine (blocks and scripts)
    journal, chain, index                         durable blocks, the active chain, what it holds
    consensus, standardness, witness_policy,
    truc, ephemeral, replacement, chunks, fees    rules of the mempool, one concern each
    mempool, acceptance, package                  unconfirmed transactions and how they get in
    clock, miner, faucet                          time, blocks, coins to play with
    node                                          `EmbeddedNode`, all of it in one process, synchronous
    rpc, esplora, server                          the two wire protocols and their process

Regtest only. A block that was acknowledged is on disk: kill -9 loses no block. The mempool, like Core's, is
written when the process ends cleanly.
"""
