(module
  (func (export "bulkhead:driver/lifecycle@0.1.0#setup") (result i32) (i32.const 0)))
