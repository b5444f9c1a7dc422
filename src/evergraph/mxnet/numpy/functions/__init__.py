"""The functions of `mx.np`, `mx.np.random`, `mx.np.linalg` and `mx.npx`, written once for arrays and for symbols."""
