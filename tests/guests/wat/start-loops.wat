(component
  (core module $code
    (func $start (loop $again (br $again)))
    (start $start))
  (core instance (instantiate $code)))
