(component
  (component $nothing)
  (instance $empty (instantiate $nothing))
  (export "bulkhead:driver/lifecycle@0.2.0" (instance $empty))
  (export "bulkhead:driver/shares@0.2.0" (instance $empty)))
