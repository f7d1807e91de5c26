(component
  (core module $code
    (table (export "table") 10000000 funcref))
  (core instance (instantiate $code)))
