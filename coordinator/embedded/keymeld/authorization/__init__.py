"""The signed objects of generation A (keymeld section 3): each file holds fields, digest and rules of one.

Structs encode to the canonical JSON as they are: fields in declared order, byte strings as arrays of integers,
maps sorted on arrival. Broken rules raise InvalidInput, signatures that do not verify InvalidSignature.
"""
