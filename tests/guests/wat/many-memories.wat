(component
  (core module $code
    (memory (export "memory") 768))
  (core instance (instantiate $code))
  (core instance (instantiate $code)))
