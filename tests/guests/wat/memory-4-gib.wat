(component
  (core module $code
    (memory (export "memory") 65536))
  (core instance (instantiate $code)))
