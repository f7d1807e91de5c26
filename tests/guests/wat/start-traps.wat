(component
  (core module $code
    (func $start unreachable)
    (start $start))
  (core instance (instantiate $code)))
