(component
  (import "bulkhead:host/root-shell@0.1.0" (instance
    (export "run" (func (param "words" (list string)))))))
