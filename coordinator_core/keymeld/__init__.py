"""keymeld, protocol generation A ("authorization v1"): every signed object, built and verified.

Gateways 0.4.0 to 0.10.5 speak it. Pure and strict: no network, no clock. One object is one module;
`canonical` holds the digest that all of them sign. Deposit scopes, escrow policies and the confidential
transport of later releases are not spoken and are refused.
"""
